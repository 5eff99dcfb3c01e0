// One line for every step, and how many there were.

let passed = 0;
let failed = 0;

export async function step(name, act) {
    try {
        const result = await act();
        passed += 1;
        console.log(`ok    ${name}${result ? `: ${result}` : ''}`);
    } catch (error) {
        failed += 1;
        console.log(`FAIL  ${name}: ${error.stack}`);
    }
}

export function finish() {
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
}
