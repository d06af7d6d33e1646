// A run that is reported and listed, with the types that openapi-typescript made of the document.
import createClient from "openapi-fetch";
import type { paths } from "./ledger.js";

declare const process: { argv: string[] };

const ledger = createClient<paths>({ baseUrl: process.argv[2] });

const created = await ledger.POST("/api/v1/runs", { body: { agent_id: "agent-typescript" } });
if (!created.data) throw new Error(JSON.stringify(created.error));
const params = { path: { run_id: created.data.run_id } };
await ledger.POST("/api/v1/runs/{run_id}/steps", {
  params,
  body: { provider: "openai", facts: { model: "gpt-4.1", prompt_tokens: 812 } },
});
await ledger.POST("/api/v1/runs/{run_id}/complete", { params, body: { stop_reason: "end_turn" } });

const listed = await ledger.GET("/api/v1/runs", {
  params: { query: { agent_id: "agent-typescript", statuses: ["completed"] } },
});
if (!listed.data) throw new Error(JSON.stringify(listed.error));
for (const run of listed.data.data) console.log(run.run_id, run.status, run.prompt_tokens);

const refused = await ledger.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: "run-1" } } });
if (!refused.error) throw new Error("expected a refusal");
console.log(refused.response.status, refused.error.type);
