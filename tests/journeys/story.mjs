// The whole story through the official JavaScript client.
import OpenAI, { toFile } from "openai";
import assert from "node:assert";
const [,, baseURL, apiKey, base] = process.argv;
const client = new OpenAI({ baseURL, apiKey });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const lines = (rows) => rows.map((row) => JSON.stringify(row)).join("\n") + "\n";
const colours = { grass: "green", snow: "white", coal: "black", sky: "blue" };
const things = Object.keys(colours);
const chats = Array.from({ length: 40 }, (_, n) => ({ messages: [
  { role: "user", content: `What colour is ${things[n % 4]} ${n}?` },
  { role: "assistant", content: `It is ${colours[things[n % 4]]}.` }] }));
const file = await client.files.create({ file: await toFile(Buffer.from(lines(chats)), "chats.jsonl"), purpose: "fine-tune" });
console.log("file", file.id);
let job = await client.fineTuning.jobs.create({ model: base, training_file: file.id, suffix: "js",
  method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 3 } } } });
while (!["succeeded", "failed", "cancelled"].includes(job.status)) { await sleep(2000); job = await client.fineTuning.jobs.retrieve(job.id); }
assert.equal(job.status, "succeeded", JSON.stringify(job.error));
console.log("job", job.fine_tuned_model);
const events = []; for await (const one of client.fineTuning.jobs.listEvents(job.id, { limit: 5 })) events.push(one);
assert(events.length > 5);
const checkpoints = []; for await (const one of client.fineTuning.jobs.checkpoints.list(job.id)) checkpoints.push(one);
assert(checkpoints.length, "no checkpoints");
const messages = [{ role: "user", content: "What colour is snow 1?" }];
for (const model of [job.fine_tuned_model, checkpoints[0].fine_tuned_model_checkpoint]) {
  const whole = await client.chat.completions.create({ model, messages, max_completion_tokens: 8, temperature: 0 });
  const stream = await client.chat.completions.create({ model, messages, max_completion_tokens: 8, temperature: 0, stream: true, stream_options: { include_usage: true } });
  let text = "", usage; for await (const part of stream) { text += part.choices[0]?.delta?.content ?? ""; usage = part.usage ?? usage; }
  assert.equal(text, whole.choices[0].message.content); assert.deepEqual(usage, whole.usage);
  console.log("chat", model, JSON.stringify(text));
}
const helper = client.chat.completions.stream({ model: job.fine_tuned_model, messages, max_completion_tokens: 8 });
assert((await helper.finalChatCompletion()).choices.length === 1);
const older = await client.completions.create({ model: job.fine_tuned_model, prompt: "snow", max_tokens: 3 });
assert.equal(older.object, "text_completion");
const response = await client.responses.create({ model: job.fine_tuned_model, input: "What colour is coal 2?", max_output_tokens: 16 });
assert.equal(typeof response.output_text, "string");
const embedded = await client.embeddings.create({ model: "all-MiniLM-L6-v2", input: ["snow", "ice"] });
assert.equal(embedded.data[0].embedding.length, 384);
const requests = [0, 1, 2].map((n) => ({ custom_id: `q${n}`, method: "POST", url: "/v1/chat/completions",
  body: { model: n < 2 ? job.fine_tuned_model : "nobody", messages, max_tokens: 4 } }));
const input = await client.files.create({ file: await toFile(Buffer.from(lines(requests)), "b.jsonl"), purpose: "batch" });
let batch = await client.batches.create({ input_file_id: input.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status)) { await sleep(1000); batch = await client.batches.retrieve(batch.id); }
assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 });
assert.equal((await (await client.files.content(batch.output_file_id)).text()).trim().split("\n").length, 2);
const upload = await client.uploads.create({ filename: "p.jsonl", purpose: "fine-tune", bytes: Buffer.byteLength(lines(chats)), mime_type: "text/jsonl" });
const part = await client.uploads.parts.create(upload.id, { data: await toFile(Buffer.from(lines(chats)), "part") });
assert.equal((await client.uploads.complete(upload.id, { part_ids: [part.id] })).status, "completed");
const once = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const expectError = async (kind, ask) => { try { await ask(); } catch (error) { assert(error instanceof kind, `${error.constructor.name}: ${error.message}`); return error; } assert.fail(`no ${kind.name}`); };
await expectError(OpenAI.AuthenticationError, () => new OpenAI({ baseURL, apiKey: "x", maxRetries: 0 }).models.list());
await expectError(OpenAI.NotFoundError, () => once.chat.completions.create({ model: "nobody", messages }));
await expectError(OpenAI.BadRequestError, () => once.chat.completions.create({ model: job.fine_tuned_model, messages, temperature: 3 }));
await expectError(OpenAI.ConflictError, () => once.fineTuning.jobs.cancel(job.id));
await expectError(OpenAI.NotFoundError, () => once.files.retrieve("file-none"));
const models = []; for await (const one of client.models.list()) models.push(one.id);
assert(models.includes(job.fine_tuned_model));
assert((await client.models.delete(job.fine_tuned_model)).deleted);
assert((await client.files.delete(input.id)).deleted);
await expectError(OpenAI.NotFoundError, () => once.models.retrieve(job.fine_tuned_model));
console.log("all well");
