// A real OpenID Connect provider on this machine: it has a few people, asks for their name and any password, and says of
// them what stands below. Started with the port; it says "ready" when it answers.
import { Provider } from "oidc-provider";

const port = Number(process.argv[2]);
if (!Number.isInteger(port)) throw new Error("usage: node provider.js PORT");
const issuer = `http://127.0.0.1:${port}`;

// Whoever logs in with an address is that person; with "!unverified" behind it, nobody has verified the address.
function person(login) {
  const [email, mark] = login.split("!");
  return { sub: login, email, email_verified: mark !== "unverified", given_name: email.split("@")[0], family_name: "Journey" };
}

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "matricula",
      client_secret: "the-secret-of-matricula-at-the-provider",
      redirect_uris: ["http://localhost:5173/sign-in"],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["given_name", "family_name"] },
  // Else what the scopes ask for is told by the userinfo endpoint alone, which nobody signs.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_context, login) => ({ accountId: login, claims: () => person(login) }),
});

provider.listen(port, "127.0.0.1", () => console.log("ready"));
