// The example as a process: on files of its own and a free port, killed and started again, its audit read from its output.

import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , program] = process.argv;

export class Example {
    #folder = mkdtempSync(join(tmpdir(), 'interop-'));
    #log = join(this.#folder, 'log');
    #process;

    /** With the policy that the example has by itself. */
    static async start() {
        const example = new Example();
        await example.#start(0);
        return example;
    }

    async #start(port) {
        const started = this.#lines('listening').length;
        const files = ['--file', join(this.#folder, 'tokens'), '--keys', join(this.#folder, 'keys')];
        const args = ['--port', port, ...files];
        // A file rather than a pipe: what was written before an answer can be read after it.
        const log = openSync(this.#log, 'a');
        this.#process = spawn(program, args, { stdio: ['ignore', log, 'inherit'] });
        while (this.#lines('listening').length === started) {
            if (this.#process.exitCode !== null) throw new Error('the example has ended');
            await sleep(20);
        }
        this.url = this.#lines('listening').at(-1)[2];
    }

    async kill() {
        const ended = new Promise(resolve => this.#process.once('exit', resolve));
        this.#process.kill('SIGKILL');
        await ended;
    }

    restart() {
        return this.#start(new URL(this.url).port);
    }

    async stop() {
        await this.kill();
        rmSync(this.#folder, { recursive: true });
    }

    /** How often each of these actions is in the audit: `rotate_or_keep` is one of both, as the fourth refresh within a leeway keeps. */
    count(...actions) {
        const one = action => this.#lines(action, 1).length;
        return actions.map(action => (action === 'rotate_or_keep' ? one('rotate') + one('keep') : one(action)));
    }

    #lines(word, at = 0) {
        const text = readFileSync(this.#log, { encoding: 'utf8', flag: 'a+' });
        return text.split('\n').map(line => line.split(' ')).filter(words => words[at] === word);
    }
}
