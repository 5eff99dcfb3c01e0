// As much of a browser as a login needs: cookies, redirects, and forms without a script.

export class Browser {
    #cookies = new Map();

    async #fetch(url, options) {
        const cookie = [...this.#cookies].map(pair => pair.join('=')).join('; ');
        const response = await fetch(url, { ...options, redirect: 'manual', headers: { cookie } });
        for (const set of response.headers.getSetCookie()) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
            this.#cookies.set(name, value);
        }
        return response;
    }

    /** The forms of a page, each with its fields and the address it posts to. */
    async open(url) {
        const html = await (await this.#fetch(url)).text();
        return forms(html, url);
    }

    /** Post a form; what comes is where it leads to, and the forms that are there if that is a page. */
    async post(form, values) {
        const response = await this.#fetch(form.url, { method: 'POST', body: new URLSearchParams({ ...form.fields, ...values }) });
        const location = response.headers.get('location');
        return { location, forms: forms(await response.text(), form.url) };
    }

    /** Log in and agree, as a person would who is sent to `url` by a client. What comes is the address of the callback. */
    async authorize(url) {
        let [form] = await this.open(url);
        if ('username' in form.fields) {
            ({ forms: [form] } = await this.post(form, { username: 'alice', password: 'wonderland' }));
        }
        const { location } = await this.post(form, { consent: 'approve' });
        return new URL(location);
    }

    /** Press every button of the page of sessions that revokes one. */
    async revokeAll(server) {
        const page = new URL('/sessions', server);
        let [form] = await this.open(page);
        if ('username' in form.fields) await this.post(form, { username: 'alice', password: 'wonderland' });
        const revocations = (await this.open(page)).filter(form => 'session' in form.fields);
        for (const form of revocations) await this.post(form);
        return revocations.length;
    }
}

function forms(html, url) {
    return [...html.matchAll(/<form[^>]*>(.*?)<\/form>/gs)].map(([, form]) => {
        const inputs = [...form.matchAll(/<input[^>]*>/g)].map(([input]) => [attribute(input, 'name'), attribute(input, 'value')]);
        return { url, fields: Object.fromEntries(inputs) };
    });
}

function attribute(tag, name) {
    return new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1] ?? '';
}
