/** Settings of @hey-api/openapi-ts. */
export default {
  input: "openapi.json",
  output: { path: "api", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch"],
};
