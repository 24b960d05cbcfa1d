/** Use functions that @hey-api/openapi-ts generates: `node build/sdk.js http://localhost:8000`. */
import { client } from "./api/client.gen.js";
import {
  createItem,
  createToken,
  importItems,
  importItemsNdjson,
  listItems,
  login,
  refreshTokens,
  register,
} from "./api/sdk.gen.js";

const [, , baseUrl = ""] = process.argv;
client.setConfig({ baseUrl });

const credentials = { email: "grace@example.com", password: "seven wet umbrellas" };
await register({ body: credentials, throwOnError: true });
const json = (await login({ body: credentials, throwOnError: true })).data.data;
const form = (
  await createToken({
    body: {
      grant_type: "password",
      username: credentials.email,
      password: credentials.password,
    },
    throwOnError: true,
  })
).data;
client.setConfig({ auth: form.access_token });

const created = (await createItem({ body: { title: "Buy milk" }, throwOnError: true })).data.data;
const csv = await importItems({
  body: new Blob(["title\r\nBuy bread\r\n"]),
  throwOnError: true,
});
const ndjson = await importItemsNdjson({
  body: new Blob(['{"title": "Buy salt"}\n']),
  // The generator treats every media type with "json" in its name as JSON.
  bodySerializer: null,
  throwOnError: true,
});
const page = await listItems({ query: { sort: "title" }, throwOnError: true });
const refreshed = await refreshTokens({
  body: { refresh_token: form.refresh_token },
  throwOnError: true,
});
const wrong = await createToken({
  body: { grant_type: "password", username: credentials.email, password: "eight dry umbrellas" },
});
const wrongJson = await login({ body: { ...credentials, password: "eight dry umbrellas" } });

// This line must be a type error, otherwise the compiler rejects this file.
// @ts-expect-error - no other grant type
void (() => createToken({ body: { grant_type: "client_credentials", username: "", password: "" } }));

console.log(
  JSON.stringify({
    loggedIn: json.token_type,
    created: created.title,
    imported: [csv.data.data.rows, ndjson.data.data.rows],
    titles: page.data.data.map((item) => item.title),
    refreshed: refreshed.data.data.refresh_token !== form.refresh_token,
    grant: [wrong.response.status, wrong.error?.error],
    credentials: [wrongJson.response.status, wrongJson.error?.code],
  }),
);
