// The official TypeScript SDK against the example: `node client.mjs PROGRAM`.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { auth, UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

import { Browser } from './browser.mjs';
import { Example } from './example.mjs';
import { Provider } from './provider.mjs';
import { finish, step } from './report.mjs';

const example = await Example.start();
const server = new URL('/mcp', example.url);
const provider = new Provider();
const browser = new Browser();

/** What becomes of a request to one of the OAuth endpoints on its way. */
let onTheWay = () => {};
const network = async (url, options) => (await onTheWay(new URL(url).pathname)) || fetch(url, options);

/** Every caller waits until `n` are there. */
function meeting(n) {
    let open;
    const all = new Promise(resolve => (open = resolve));
    return path => {
        if (path !== '/token') return;
        n -= 1;
        if (n === 0) open();
        return all;
    };
}

const connect = () => new StreamableHTTPClientTransport(server, { authProvider: provider, fetch: network });
let transport = connect();
let client = new Client({ name: 'interop', version: '1' });

let calls = 0;
async function call(name, args = {}) {
    const { content } = await client.callTool({ name, arguments: args });
    calls += 1;
    return content[0].text;
}
const whoami = async () => assert.match(await call('whoami'), /alice/i);
const login = async () => {
    const callback = await browser.authorize(provider.redirects.at(-1));
    await transport.finishAuth(provider.code(callback, example.url));
};

/** What `act` adds to the audit. */
async function audit(act, expected) {
    const actions = Object.keys(expected);
    const before = example.count(...actions);
    await act();
    const counts = example.count(...actions).map((after, i) => after - before[i]);
    assert.deepEqual(Object.fromEntries(actions.map((action, i) => [action, counts[i]])), expected);
}

try {
    await step('discovery and registration, as far as the login page', async () => {
        await assert.rejects(client.connect(transport), UnauthorizedError);
        assert.equal(provider.registrations, 1);
        assert.equal(provider.redirects.length, 1);
        const asked = provider.redirects[0].searchParams;
        assert.equal(asked.get('code_challenge_method'), 'S256');
        assert.equal(asked.get('resource'), server.href);
        assert.equal(asked.get('scope'), 'notes:read');
    });

    await step('login with PKCE, then a tool call', async () => {
        await audit(login, { authorize: 1, redeem: 1 });
        transport = connect();
        client = new Client({ name: 'interop', version: '1' });
        await client.connect(transport);
        await whoami();
        return `protocol ${transport.protocolVersion}`;
    });

    await step('an expired token is refreshed', async () => {
        provider.expire();
        // The one refusal is that of the expired access token.
        await audit(whoami, { rotate: 1, retry: 0, deny: 1 });
    });

    await step('five parallel calls on an expired token', async () => {
        provider.expire();
        // This SDK refreshes for each of them. So that they do race, every refresh waits for the others.
        onTheWay = meeting(5);
        await audit(() => Promise.all(Array.from({ length: 5 }, whoami)), { rotate: 1, retry: 4, deny: 5, reuse_revoke_family: 0 });
        onTheWay = () => {};
        return '5 of 5 succeed, 1 rotation, 4 retries';
    });

    await step('a refresh that another has overtaken twice', async () => {
        // The first goes its way; the second finds what the first has brought, and refreshes that; the third still has the old one.
        provider.expire();
        const { saves } = provider;
        const saved = async count => { while (provider.saves < saves + count) await sleep(5); };
        const both = meeting(2);
        let [metadata, refreshes] = [0, 0];
        onTheWay = async path => {
            if (path.startsWith('/.well-known/oauth-protected-resource') && ++metadata === 2) await saved(1);
            if (path !== '/token') return;
            const turn = ++refreshes;
            if (turn <= 2) await both(path);
            if (turn === 2) await saved(2);
        };
        await audit(() => Promise.all(Array.from({ length: 3 }, whoami)), { deny: 3, reuse_revoke_family: 0 });
        onTheWay = () => {};
        await whoami();
    });

    await step('the session goes on after them', async () => {
        provider.expire();
        await audit(whoami, { rotate_or_keep: 1, retry: 0, deny: 1 });
    });

    await step('the session outlives the server', async () => {
        await example.kill();
        await assert.rejects(whoami());
        await example.restart();
        await whoami();
        provider.expire();
        await audit(whoami, { rotate_or_keep: 1, deny: 1 });
        assert.equal(provider.registrations, 1);
        assert.equal(provider.redirects.length, 1);
    });

    await step('503 from the token endpoint keeps the tokens', async () => {
        provider.expire();
        const tokens = provider.tokens();
        let refusals = 0;
        onTheWay = path => {
            if (path !== '/token') return;
            refusals += 1;
            return Response.json({ error: 'temporarily_unavailable' }, { status: 503 });
        };
        await assert.rejects(whoami());
        onTheWay = () => {};
        assert.equal(refusals, 1);
        assert.deepEqual(provider.tokens(), tokens);
        await audit(whoami, { rotate_or_keep: 1, deny: 1 });
        assert.equal(provider.redirects.length, 1);
    });

    await step('more scope: refused, asked for, granted', async () => {
        // This SDK refreshes in answer to 403 as long as it has a refresh token, which cannot widen the scope (RFC 6749 §6):
        // the application has to send its user to the consent page itself.
        await assert.rejects(call('add_note', { text: 'a note' }), /403/);
        await whoami();
        provider.invalidateCredentials('tokens');
        assert.equal(await auth(provider, { serverUrl: server, scope: 'notes:read notes:write' }), 'REDIRECT');
        await login();
        assert.match(await call('add_note', { text: 'a note' }), /alice/i);
        await whoami();
        assert.equal(provider.registrations, 1);
    });

    await step('revoked on the page of sessions: 401, and a clean login', async () => {
        const redirects = provider.redirects.length;
        let revoked;
        await audit(async () => (revoked = await browser.revokeAll(example.url)), { revoke_session: 2 });
        await assert.rejects(whoami(), UnauthorizedError);
        assert.equal(provider.redirects.length, redirects + 1);
        await login();
        await whoami();
        assert.equal(provider.registrations, 1);
        return `${revoked} sessions revoked`;
    });

    await step('no reuse was ever seen', () => {
        assert.deepEqual(example.count('reuse_revoke_family', 'reuse_reject_only'), [0, 0]);
        const [rotations, retries] = example.count('rotate', 'retry');
        return `${calls} calls answered, ${rotations} rotations, ${retries} retries in all`;
    });
} finally {
    await client.close();
    await example.stop();
}
finish();
