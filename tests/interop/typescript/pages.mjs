// Headless Chromium at the pages of the example: `node pages.mjs PROGRAM [FOLDER]`, with pictures of them in FOLDER.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

import { Example } from './example.mjs';
import { finish, step } from './report.mjs';

const [, , , folder] = process.argv;

const example = await Example.start();
const chrome = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    timeout: 120_000,
    args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
    ],
});
// Without scripts: the pages have to work, and none of theirs would run anyway.
const context = await chrome.newContext({ javaScriptEnabled: false });
// The machine may be busy.
context.setDefaultTimeout(60_000);
const page = await context.newPage();
const complaints = [];
page.on('console', message => complaints.push(message.text()));
page.on('pageerror', error => complaints.push(String(error)));
page.on('requestfailed', request => complaints.push(`${request.url()}: ${request.failure().errorText}`));

// The client: somewhere on this machine that listens for the code.
let arrived;
let access_token;
const serve = async answer => {
    const listener = createServer(answer).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return [listener, `http://127.0.0.1:${listener.address().port}`];
};
const [elsewhere, other] = await serve((_, response) => response.end('landed'));
const [listener, client] = await serve((request, response) => {
    const url = new URL(request.url, client);
    // A browser asks for an icon, too.
    if (url.pathname === '/callback') arrived = url;
    // Callbacks that redirect on: to another host, or to an app.
    const next = { 'state-host': `${other}/landed`, 'state-app': 'com.example.app:/landed' }[url.searchParams.get('state')];
    if (next) response.writeHead(302, { location: next });
    response.end('done');
});
const redirect_uri = `${client}/callback`;

const post = async (path, type, body) => (await fetch(new URL(path, example.url), { method: 'POST', headers: { 'content-type': type }, body })).json();
const verifier = randomUUID() + randomUUID();

async function register(client_name) {
    const metadata = { client_name, redirect_uris: [redirect_uri], token_endpoint_auth_method: 'none' };
    return (await post('/register', 'application/json', JSON.stringify(metadata))).client_id;
}

function authorization(client_id, state) {
    const url = new URL('/authorize', example.url);
    const code_challenge = createHash('sha256').update(verifier).digest('base64url');
    const resource = new URL('/mcp', example.url).href;
    const scope = 'notes:read notes:write';
    const params = { response_type: 'code', client_id, redirect_uri, state, scope, resource, code_challenge, code_challenge_method: 'S256' };
    url.search = new URLSearchParams(params);
    return url.href;
}

/** A picture of the page, wide and narrow; nothing may stick out on a telephone, and a finger has to hit each button. */
async function look(name) {
    for (const [size, width] of [['wide', 1280], ['narrow', 320]]) {
        await page.setViewportSize({ width, height: 800 });
        if (folder) await page.screenshot({ path: join(folder, `${name}-${size}.png`), fullPage: true });
        const { width: needed } = await page.locator('html').evaluate(html => ({ width: html.scrollWidth }));
        assert.ok(needed <= width, `${name} needs ${needed} of ${width} pixels`);
        for (const button of await page.getByRole('button').all()) {
            const { height } = await button.boundingBox();
            assert.ok(height >= 44, `${name}: a button is ${height} pixels high`);
        }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
}

const button = name => page.getByRole('button', { name, exact: true });
const heading = name => page.getByRole('heading', { name }).waitFor();
const focused = () => page.locator(':focus');

try {
    const name = 'Notebook <b>& Sons</b>';
    const client_id = await register(name);
    const url = authorization(client_id, 'state-1');

    await step('login: a wrong password is told', async () => {
        await page.goto(url);
        await heading('Log in');
        assert.equal(await focused().getAttribute('name'), 'username');
        await look('login');
        await page.getByLabel('User name').fill('alice');
        await page.getByLabel('Password').fill('wrong');
        complaints.length = 0;
        await button('Log in').click();
        assert.match(await page.getByRole('alert').innerText(), /wrong/i);
        await look('login-wrong');
        // The browser reports the status of the page, and nothing else.
        assert.ok(complaints.every(text => text.includes('401')), complaints.join('\n'));
        complaints.length = 0;
    });

    await step('login by keyboard alone, with the user name of the first attempt', async () => {
        assert.equal(await page.getByLabel('User name').inputValue(), 'alice');
        assert.equal(await focused().getAttribute('name'), 'password');
        await page.keyboard.type('wonderland');
        await page.keyboard.press('Tab');
        assert.equal(await focused().innerText(), 'Log in');
        await page.keyboard.press('Enter');
        await heading('Allow access?');
    });

    await step('consent: who asks, for what, and where the answer goes', async () => {
        const text = await page.getByRole('main').innerText();
        for (const part of [name, client, /read your notes/, /add notes/, /your own computer/]) assert.match(text, new RegExp(part));
        await look('consent');
        await page.keyboard.press('Tab');
        assert.equal(await focused().innerText(), 'Allow');
        await page.keyboard.press('Tab');
        assert.equal(await focused().innerText(), 'Deny');
    });

    await step('consent: the code arrives at the client, past the page\'s own policy', async () => {
        const posted = page.waitForRequest(request => request.method() === 'POST');
        await button('Allow').click();
        await page.waitForURL(`${redirect_uri}**`);
        assert.equal((await (await posted).allHeaders()).origin, example.url, 'what a defence against forged posts looks at');
        const { code, state, iss, ...rest } = Object.fromEntries(arrived.searchParams);
        assert.match(code, /^mcpac_/);
        assert.deepEqual({ state, iss, rest }, { state: 'state-1', iss: example.url, rest: {} });
        const form = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri, client_id, code_verifier: verifier });
        const tokens = await post('/token', 'application/x-www-form-urlencoded', form);
        assert.equal(tokens.scope, 'notes:read notes:write');
        access_token = tokens.access_token;
    });

    await step('consent: a callback that redirects on to another host arrives there', async () => {
        await page.goto(authorization(client_id, 'state-host'));
        await button('Allow').click();
        await page.waitForURL(`${other}/landed`);
        assert.match(arrived.searchParams.get('code'), /^mcpac_/);
    });

    await step('consent: a callback that redirects on to an app is stopped by no policy', async () => {
        // A page of its own: there is no such app here, and at its door a browser stands still.
        const tab = await context.newPage();
        const said = [];
        tab.on('console', message => said.push(message.text()));
        await tab.goto(authorization(client_id, 'state-app'));
        const failed = tab.waitForEvent('requestfailed');
        await tab.getByRole('button', { name: 'Allow', exact: true }).click();
        assert.match((await failed).failure().errorText, /ERR_ABORTED|ERR_UNKNOWN_URL_SCHEME/);
        assert.equal(arrived.searchParams.get('state'), 'state-app');
        assert.ok(said.every(text => !text.includes('Content Security Policy')), said.join('\n'));
        await tab.close();
    });

    await step('a page of another origin reads the challenge, then calls a tool', async () => {
        const scripts = await chrome.newContext();
        scripts.setDefaultTimeout(60_000);
        const app = await scripts.newPage();
        await app.goto(client);
        const call = token => app.evaluate(async ([url, token]) => {
            const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-06-18' };
            if (token) headers.authorization = `Bearer ${token}`;
            const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } });
            const response = await fetch(url, { method: 'POST', headers, body });
            return { status: response.status, challenge: response.headers.get('www-authenticate'), text: await response.text() };
        }, [new URL('/mcp', example.url).href, token]);
        const refused = await call();
        assert.equal(refused.status, 401);
        assert.match(refused.challenge, /resource_metadata="/);
        const { status, text } = await call(access_token);
        assert.equal(status, 200, text);
        assert.match(text, /alice/i);
        await scripts.close();
    });

    await step('deny: the client is told, and nothing is issued', async () => {
        // Its name is as long as may be, has no place to break, and turns round the text that follows.
        await page.goto(authorization(await register(`\u202e${'Stranger'.repeat(15)}`), 'state-2'));
        await heading('Allow access?');
        await look('consent-long');
        await button('Deny').click();
        await page.waitForURL(`${redirect_uri}**`);
        const { error, state, code } = Object.fromEntries(arrived.searchParams);
        assert.deepEqual({ error, state, code }, { error: 'access_denied', state: 'state-2', code: undefined });
        assert.deepEqual(example.count('authorize'), [3]);
    });

    await step('sessions: listed, revoked, gone', async () => {
        await page.goto(new URL('/sessions', example.url).href);
        await heading('Your sessions');
        const session = page.getByRole('region', { name });
        assert.match(await session.innerText(), /read your notes/);
        assert.match(await session.getByRole('time').first().innerText(), /just now|minute/);
        await look('sessions');
        await session.getByRole('button', { name: 'Revoke' }).click();
        await page.getByText('No program has access to your notes.').waitFor();
        await look('sessions-none');
        assert.deepEqual(example.count('revoke_session'), [1]);
    });

    await step('log out, and the page is the login again', async () => {
        await button('Log out').click();
        await heading('Log in');
    });

    await step('nothing failed to load, no policy was violated', () => {
        assert.deepEqual(complaints, []);
    });
} finally {
    await chrome.close();
    listener.close();
    elsewhere.close();
    await example.stop();
}
finish();
