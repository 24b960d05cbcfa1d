/** Use a client with generated types: `node build/client.js http://localhost:8000`. */
import createClient from "openapi-fetch";

import type { components, paths } from "./openapi.js";

type Item = components["schemas"]["ItemResponse"];
type Problem = components["schemas"]["Problem"];

const [, , baseUrl = ""] = process.argv;
const api = createClient<paths>({ baseUrl });

/** Return the body of a success, or throw the problem. */
function answered<T>(result: { data?: T; error?: Problem | undefined }): T {
  if (result.data === undefined) {
    throw new Error(`${result.error?.code}: ${result.error?.detail}`);
  }
  return result.data;
}

const credentials = { email: "ada@example.com", password: "seven wet umbrellas" };
answered(await api.POST("/api/v1/auth/register", { body: credentials }));
const loggedIn = answered(await api.POST("/api/v1/auth/login", { body: credentials }));
const refreshed = answered(
  await api.POST("/api/v1/auth/refresh", {
    body: { refresh_token: loggedIn.data.refresh_token },
  }),
);
const token = await api.POST("/api/v1/auth/token", {
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
  body: {
    grant_type: "password",
    username: credentials.email,
    password: credentials.password,
  },
});
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${refreshed.data.access_token}`);
  },
});

const created: Item = answered(
  await api.POST("/api/v1/items", { body: { title: "Buy milk", status: "active" } }),
).data;

const page = answered(
  await api.GET("/api/v1/items", { params: { query: { page: 1, per_page: 5, sort: "title" } } }),
);
const titles: string[] = page.data.map((item) => item.title);
// Pages by number have totals, pages by cursor have none.
const total =
  "total" in page.meta ? { eq: "", gte: "at least " }[page.meta.total_relation] + page.meta.total : "";

const fetched = await api.GET("/api/v1/items/{public_id}", {
  params: { path: { public_id: created.public_id } },
});

const missing = await api.GET("/api/v1/items/{public_id}", {
  params: { path: { public_id: "01890a5d-ac96-774b-bcce-b302099a8057" } },
});
const refused = await api.POST("/api/v1/items", { body: { title: "" } });

// Each of these lines must be a type error, otherwise the compiler rejects this file.
// @ts-expect-error - login takes no form
void (() => api.POST("/api/v1/auth/login", { body: { username: "a", password: "b" } }));
// @ts-expect-error - the title is required
void (() => api.POST("/api/v1/items", { body: { status: "draft" } }));
// @ts-expect-error - no such status
void (() => api.POST("/api/v1/items", { body: { title: "a", status: "lost" } }));
// @ts-expect-error - a number
void (() => api.GET("/api/v1/items", { params: { query: { page: "first" } } }));
// @ts-expect-error - responses have no integer ids
void (() => created.id);

console.log(
  JSON.stringify({
    refreshed: refreshed.data.refresh_token !== loggedIn.data.refresh_token,
    token: token.data?.token_type,
    created: created.title,
    owned: created.owner_public_id,
    titles,
    total,
    fetched: fetched.data?.data.status,
    requestId: fetched.response.headers.get("X-Request-ID"),
    missing: [missing.response.status, missing.error?.code],
    refused: refused.error?.errors?.map((fault) => fault.loc.join(".")),
  }),
);
