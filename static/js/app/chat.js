// The playground of language models: a chat whose answers appear as they are written, beside those of
// the base model. Without JavaScript the form asks one question and shows the whole answer.
(() => {
  "use strict";

  class Chat {
    constructor(form) {
      this.form = form;
      this.root = form.closest("[data-chat]");
      this.panes = [...this.root.querySelectorAll("[data-pane]")].map((element) => ({
        element,
        turns: element.querySelector("[data-turns]"),
        byBase: element.dataset.pane === "base",
        messages: [],
      }));
      this.stopButton = this.root.querySelector("[data-stop]");
      this.stopButton.addEventListener("click", () => this.abort?.abort());
      this.root.querySelector("[data-clear]").addEventListener("click", () => this.clear());
      const compare = this.root.querySelector("[data-compare]");
      compare?.addEventListener("change", () => this.showPanes(compare.checked));
      for (const element of this.root.querySelectorAll("[data-with-script]")) element.hidden = false;
      this.showPanes(Boolean(compare?.checked));
    }

    showPanes(both) {
      for (const pane of this.panes) pane.element.hidden = pane.byBase && !both;
    }

    clear() {
      this.abort?.abort();
      for (const pane of this.panes) {
        pane.messages = [];
        pane.turns.replaceChildren();
      }
      this.form.elements.text.focus();
    }

    async ask() {
      const field = this.form.elements.text;
      const question = field.value.trim();
      if (!question || this.abort) return;
      field.value = "";
      this.abort = new AbortController();
      this.setBusy(true);
      const shown = this.panes.filter((pane) => !pane.element.hidden);
      await Promise.all(shown.map((pane) => this.answer(pane, question)));
      this.abort = null;
      this.setBusy(false);
      field.focus();
    }

    setBusy(isBusy) {
      this.stopButton.hidden = !isBusy;
      this.form.querySelector("button[type=submit]").disabled = isBusy;
      for (const pane of this.panes) pane.turns.setAttribute("aria-busy", String(isBusy));
    }

    async answer(pane, question) {
      const asked = addTurn(pane.turns, latheText("You"), question);
      const said = addTurn(pane.turns, pane.element.dataset.name, "…");
      const messages = [...pane.messages, { role: "user", content: question }];
      let text = "";
      try {
        await this.stream(pane, messages, (part) => {
          text += part;
          said.textContent = text;
          said.scrollIntoView({ block: "nearest" });
        });
      } catch (error) {
        if (error.name !== "AbortError") {
          said.closest(".turn").dataset.failed = "";
          said.textContent = error.message;
          asked.closest(".turn").dataset.failed = "";
          return;
        }
      }
      if (!text) said.textContent = latheText("(nothing)");
      pane.messages = [...messages, { role: "assistant", content: text }];
    }

    async stream(pane, messages, tell) {
      const system = this.form.elements.system?.value.trim();
      const whole = system ? [{ role: "system", content: system }, ...messages] : messages;
      const body = new FormData();
      body.set("csrfmiddlewaretoken", this.form.elements.csrfmiddlewaretoken.value);
      body.set("messages", JSON.stringify(whole));
      if (pane.byBase) body.set("by_base", "1");
      const response = await fetch(this.root.dataset.chat, { method: "POST", body, signal: this.abort.signal });
      if (!/event-stream/.test(response.headers.get("content-type") || "")) {
        const refusal = await response.json().catch(() => ({}));
        throw new Error(refusal.error?.message || latheText("That did not work"));
      }
      await readEvents(response.body.getReader(), tell);
    }
  }

  async function readEvents(reader, tell) {
    const decoder = new TextDecoder();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const events = rest.split("\n\n");
      rest = events.pop();
      for (const event of events) {
        if (!event.startsWith("data: ") || event === "data: [DONE]") continue;
        const part = JSON.parse(event.slice(6));
        if (part.error) throw new Error(part.error.message);
        const delta = part.choices?.[0]?.delta?.content;
        if (delta) tell(delta);
      }
    }
  }

  function addTurn(list, name, text) {
    const turn = Object.assign(document.createElement("div"), { className: "turn" });
    const who = Object.assign(document.createElement("p"), { className: "muted small", textContent: name });
    const said = Object.assign(document.createElement("p"), { className: "sample", textContent: text });
    turn.append(who, said);
    list.append(turn);
    return said;
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const form of document.querySelectorAll("[data-chat] form")) {
      const chat = new Chat(form);
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        chat.ask();
      });
      form.elements.text.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        chat.ask();
      });
    }
  });
})();
