// The chat inside the widget's frame. Texts are set as text, never as HTML.
"use strict";
const root = document.documentElement;
const base = root.dataset.base;
const storageKey = `lathe-chat:${base}`;
const list = document.querySelector("[data-messages]");
const choices = document.querySelector("[data-choices]");
const form = document.querySelector("[data-question]");
const contact = document.querySelector("[data-contact]");
const field = form.querySelector("textarea");
const words = root.lang === "zh"
  ? { failed: "发送失败，请重试。", rate: "这次对话怎么样？1 很差，5 很好", noted: "人工回复也会发到这个邮箱。", helpful: "有帮助", not: "没帮助", thanks: "谢谢！", unknown: "无法确认您的身份：这里不了解您的账户。请重新加载页面后再试。" }
  : { failed: "That did not arrive. Please try again.", rate: "How was this conversation? 1 is bad, 5 is good", noted: "The reply comes to this address, too.", helpful: "Helpful", not: "Not helpful", thanks: "Thank you!", unknown: "We could not confirm who you are, so this chat does not know your account. Reload the page to try again." };
let memory = "";
const shown = new Map(); // The last message of each conversation; who writes after one was closed opens another.
let source = null;
let followed = null; // The conversation whose news come.
let askedIn = ""; // The conversation that a rating was asked of.
let early = null; // The start of an answer that is still being written.
let identity = ""; // The token of who the site's server vouches for; kept by no browser.
const { id: customer, hash: signature, signed, "signed-hash": signedHash, ...told } = about();
let isKnown = true; // False once the visitor was told that the site's server no longer vouches for them.
const extras = { metadata: told }; // What goes with each question; the voice adds to it.

// What the page that holds the frame says of the visitor.
function about() {
  try { return JSON.parse(decodeURIComponent(location.hash.slice(1))) || {}; } catch { return {}; }
}

function visitor() {
  if (identity) return identity;
  try { return localStorage.getItem(storageKey) || memory; } catch { return memory; }
}

// Who is new here is who the page says, from the first request on: two of one moment are of one visitor.
if (!visitor()) remember(root.dataset.visitor);

function remember(token) {
  if (identity) return;
  memory = token;
  try { localStorage.setItem(storageKey, token); } catch { /* This browser keeps nothing here. */ }
}

function add(author, text, id) {
  const item = document.createElement("li");
  item.dataset.author = author;
  for (const part of text.split(/(https?:\/\/[^\s<>"]+)/)) {
    if (/^https?:\/\//.test(part)) {
      const link = document.createElement("a");
      link.href = part;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      link.textContent = part;
      item.append(link);
    } else item.append(part);
  }
  if (id) item.append(rating(id));
  list.append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

// Once: rules that ask for what was signed apply no more, and a visitor who is not told would not know why.
function tellUnknown() {
  if (isKnown) add("system", words.unknown);
  isKnown = false;
}

// What a language model writes, sentence by sentence, until the whole is told.
function addEarly(text) {
  if (!early) early = add("bot", "");
  early.append(text);
  early.scrollIntoView({ block: "end" });
}

function removeEarly() {
  if (early) early.remove();
  early = null;
}

function rating(id) {
  const row = document.createElement("span");
  row.className = "rating";
  for (const [label, helpful] of [[words.helpful, true], [words.not, false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", async () => {
      await ask("feedback", { id, helpful });
      row.replaceChildren(words.thanks);
    });
    row.append(button);
  }
  return row;
}

function rates() {
  const row = document.createElement("span");
  row.className = "rating";
  row.append(...[1, 2, 3, 4, 5].map((csat) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = csat;
    button.addEventListener("click", async () => {
      await ask("rating", { csat });
      choices.replaceChildren(words.thanks);
    });
    return button;
  }));
  return row;
}

// After an answer once in a conversation, where nothing else is to choose; at its end until it is rated.
function mayAsk({ state, conversation, suggestions }) {
  if (state === "closed") return true;
  const key = `${storageKey}:rated`;
  let asked = askedIn;
  try { asked = localStorage.getItem(key) || asked; } catch { /* This browser keeps nothing here. */ }
  if (suggestions.length || asked === conversation) return false;
  askedIn = conversation;
  try { localStorage.setItem(key, conversation); } catch { /* Nor here. */ }
  return true;
}

async function ask(path, body, tell) {
  const isForm = body instanceof FormData;
  const headers = { "X-Lathe-Visitor": visitor() };
  if (tell) headers.Accept = "text/event-stream, application/json";
  if (!isForm) headers["Content-Type"] = "application/json";
  const answer = await fetch(base + path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && !isForm ? JSON.stringify(body) : body,
  });
  if (answer.ok && tell) return follow(answer.body.getReader(), tell);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.error?.message || data.error || words.failed);
  return data;
}

async function follow(reader, tell) {
  const decoder = new TextDecoder();
  let text = "";
  let data = null;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events.filter((one) => one !== "data: [DONE]")) {
      const part = JSON.parse(event.slice("data: ".length));
      if ("delta" in part) tell(part.delta);
      else data = part;
    }
  }
  if (!data || data.error) throw new Error(words.failed);
  return data;
}

function show(data) {
  if (data.visitor) remember(data.visitor);
  const isFirst = !shown.size;
  const last = shown.get(data.conversation) || 0;
  const fresh = data.messages.filter((message) => message.seq > last);
  for (const message of fresh) {
    shown.set(data.conversation, message.seq);
    if (message.author === "visitor") list.querySelector("[data-waiting]")?.remove();
    else removeEarly();
    add(message.author, message.text, message.id);
  }
  // What only repeats what is shown takes no choice away.
  if (fresh.length || data.suggestions.length) choices.replaceChildren(...data.suggestions.map((text) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => send(text));
    return button;
  }));
  if (data.has_expired) tellUnknown();
  contact.hidden = !data.asks_for_address;
  if (data.asks_for_rating && mayAsk(data)) choices.replaceChildren(words.rate, rates());
  if (data.messages.length && followed !== data.conversation) listen(data.conversation);
  document.dispatchEvent(new CustomEvent("lathe:said", { detail: { ...data, fresh, isFirst } }));
}

function listen(conversation) {
  if (source) source.close();
  followed = conversation;
  source = new EventSource(`${base}stream?visitor=${encodeURIComponent(visitor())}`);
  source.addEventListener("update", () => ask("messages").then(show, () => {}));
}

// crypto.randomUUID exists on secure pages only.
function messageId() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
}

const underWay = new Map(); // What was sent and is not answered, by its id: it may come after what is sent next.

async function send(text) {
  const id = messageId();
  const before = Array.from(underWay, ([earlier, said]) => ({ id: earlier, text: said }));
  underWay.set(id, text);
  await sendBody({ text, id, before, ...extras });
  underWay.delete(id);
}

// The field stays free meanwhile: what is sent within a moment is read as one question.
async function sendBody(body) {
  const waiting = body.text ? add("visitor", body.text) : null;
  if (waiting) waiting.dataset.waiting = "";
  field.value = "";
  field.focus();
  try {
    show(await ask("messages", body, body instanceof FormData ? null : addEarly));
  } catch (problem) {
    waiting?.remove();
    add("system", problem.message || words.failed);
    if (body.text && !field.value) field.value = body.text;
  }
  removeEarly();
}

contact.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("contact", { email: contact.elements.email.value });
    contact.hidden = true;
    add("system", words.noted);
  } catch (problem) {
    add("system", problem.message || words.failed);
  }
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (field.value.trim()) send(field.value);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") parent.postMessage({ lathe: 1, type: "close" }, "*");
});
async function start() {
  if (customer && signature) {
    // What is signed wrongly, or has expired: they are a visitor like any other, and whoever builds the site reads why.
    await ask("identity", { id: customer, hash: signature, attributes: signed, attributes_hash: signedHash }).then(
      (data) => { identity = data.visitor; },
      (problem) => console.warn(`Lathe: this visitor is not verified. ${problem.message}`),
    );
  }
  // Not before somebody listens: what was sent earlier would be lost without a word.
  for (const control of form.elements) control.disabled = false;
  field.focus();
  await ask("messages").then(show, (problem) => add("system", problem.message || words.failed));
  if (customer && signature && !identity) tellUnknown();
}
start();
