// What an application gives to the TypeScript SDK: where to keep things, and how to send its user to a login.

import { randomUUID } from 'node:crypto';

export class Provider {
    redirectUrl = 'http://127.0.0.1:53682/callback';
    clientMetadata = {
        client_name: 'TypeScript SDK',
        redirect_uris: [this.redirectUrl],
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
    };
    registrations = 0;
    saves = 0;
    redirects = [];
    #state;
    #client;
    #tokens;
    #verifier;

    state() {
        this.#state = randomUUID();
        return this.#state;
    }

    clientInformation() {
        return this.#client;
    }

    saveClientInformation(client) {
        this.registrations += 1;
        this.#client = client;
    }

    tokens() {
        return this.#tokens;
    }

    saveTokens(tokens) {
        this.saves += 1;
        this.#tokens = tokens;
    }

    /** The server refuses the access token from now on, as it does when its time is over. */
    expire() {
        this.#tokens = { ...this.#tokens, access_token: 'expired' };
    }

    codeVerifier() {
        return this.#verifier;
    }

    saveCodeVerifier(verifier) {
        this.#verifier = verifier;
    }

    redirectToAuthorization(url) {
        this.redirects.push(url);
    }

    invalidateCredentials(which) {
        if (which === 'all' || which === 'client') this.#client = undefined;
        if (which === 'all' || which === 'tokens') this.#tokens = undefined;
    }

    /** The code that a callback brings, if it is the answer to the last redirect and from `issuer`. */
    code(callback, issuer) {
        const { state, iss, code } = Object.fromEntries(callback.searchParams);
        if (state !== this.#state || iss !== issuer || !code) throw new Error(`not the callback that was expected: ${callback.search}`);
        return code;
    }
}
