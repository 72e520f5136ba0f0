// An authorization server, oidc-provider, for tests: whoever opens its pages is logged in and agrees.
//
// oauth_server.mjs
// Prints its address on one line and ends with its standard input. Access tokens are JWTs for the
// resource a client names; refresh tokens come with every login. `GET /told` says what it has
// handed out: registrations, and the grant types and scopes of tokens.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const load = createRequire(process.env.TEST_CLIENTS_DIR + "/");
const { default: Provider } = await import(pathToFileURL(load.resolve("oidc-provider")));

const SCOPES = ["schema.bases:read", "data.records:read", "data.records:write", "schema.bases:write"];
const told = [];

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "ES256" };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  cookies: { keys: ["of a test"] },
  scopes: SCOPES,
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
  // Clients register what they ask for first; a person may allow them more later.
  extraClientMetadata: {
    properties: ["all_scopes"],
    validator: (_, __, ___, metadata) => void (metadata.scope = SCOPES.join(" ")),
  },
  interactions: { url: (_, interaction) => `/agree/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: SCOPES.join(" "),
        audience: resource,
        accessTokenTTL: 300,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});

provider.on("registration_create.success", (_, client) => told.push({ registered: client.clientId }));
provider.on("grant.success", (context) => {
  const { grant_type, resource } = context.oidc.params;
  told.push({ granted: grant_type, resource, scope: context.body?.scope });
});

/** Logs in, then agrees to all that is asked. */
async function agree(request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    return provider.interactionFinished(request, response, { login: { accountId: "somebody" } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  for (const resource of [params.resource].flat()) grant.addResourceScope(resource, params.scope);
  const grantId = await grant.save();
  return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
}

const answer = provider.callback();
server.on("request", (request, response) => {
  if (request.url === "/told") {
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(told));
  } else if (request.url.startsWith("/agree/")) {
    agree(request, response).catch((error) => response.writeHead(500).end(String(error)));
  } else {
    answer(request, response);
  }
});

console.log(issuer);
process.stdin.on("end", () => process.exit()).resume();
