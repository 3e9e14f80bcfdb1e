// An OpenID provider for one test: oidc-provider as published, with one confidential client and PKCE demanded.
// Arguments: the folder it is installed in, the port, the client's redirect address.
const [dir, port, redirect] = process.argv.slice(2);
const { default: Provider } = await import(`${dir}/node_modules/oidc-provider/lib/index.js`);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "tidm",
    client_secret: "good for tests: only",
    redirect_uris: [redirect],
    grant_types: ["authorization_code"],
    response_types: ["code"],
  }],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["good for tests only"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, preferred_username: `${id}@example.com`, groups: ["quality"] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
