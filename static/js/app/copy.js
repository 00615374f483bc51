// Copy buttons: <button type="button" data-copy="#id-of-what-to-copy" hidden>Copy</button>.
// Hidden in the markup, because without JavaScript they could do nothing.
(() => {
  const labels = new WeakMap(); // What a button shows while nothing was copied: words, an icon.

  function reveal(root) {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
  }

  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    const text = "value" in source ? source.value : source.textContent.trim();
    const label = labels.get(button) ?? [...button.childNodes];
    labels.set(button, label);
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = latheText("Copied");
    } catch {
      select(source); // No clipboard outside https: leave it selected, ready for Ctrl-C.
      button.textContent = latheText("Press Ctrl+C");
    }
    setTimeout(() => button.replaceChildren(...label), 1600);
  }

  function select(element) {
    if ("select" in element) {
      element.select();
      return;
    }
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  }

  document.addEventListener("DOMContentLoaded", () => reveal(document));
  document.addEventListener("htmx:after:swap", () => reveal(document));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
})();
