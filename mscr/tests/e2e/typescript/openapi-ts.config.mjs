/** Settings of @hey-api/openapi-ts. */
export default {
  input: "catalogue.json",
  output: { path: "api", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch"],
};
