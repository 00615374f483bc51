// ⌘K, Ctrl+K or / opens the search; arrows move through what was found, Enter opens it.
(() => {
  const dialog = () => document.getElementById("search-dialog");
  const field = () => dialog()?.querySelector("input");
  const links = () => [...dialog().querySelectorAll(".found a")];

  // Enter may come before the answer to the last letters: what stands there then is of another text.
  const isOfThisText = () => dialog().querySelector("[data-query]")?.dataset.query === field().value;
  let isEnterWaiting = false;

  function choose() {
    isEnterWaiting = !isOfThisText();
    if (isEnterWaiting) return;
    const chosen = links().find((link) => link.getAttribute("aria-selected") === "true") ?? links()[0];
    chosen?.click();
  }

  function open() {
    if (!dialog() || dialog().open) return;
    dialog().showModal();
    field().select();
  }

  function isTyping(target) {
    return target.closest("input, textarea, select, [contenteditable]");
  }

  function move(step) {
    const all = links();
    if (all.length === 0) return;
    const now = all.findIndex((link) => link.getAttribute("aria-selected") === "true");
    const next = (now + step + all.length) % all.length;
    all.forEach((link, place) => link.setAttribute("aria-selected", String(place === next)));
    all[next].scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (!dialog()) return;
    const isShortcut = (event.key === "k" && (event.metaKey || event.ctrlKey)) || (event.key === "/" && !isTyping(event.target));
    if (isShortcut) {
      event.preventDefault();
      open();
      return;
    }
    if (!dialog().open || event.target !== field()) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    }
    if (event.key === "Enter") {
      event.preventDefault();
      choose();
    }
  });

  document.addEventListener("input", (event) => {
    if (dialog() && event.target === field()) isEnterWaiting = false;
  });

  document.addEventListener("htmx:after:swap", () => {
    if (isEnterWaiting && dialog()?.open) choose();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-search-open]")) {
      event.preventDefault();
      open();
    }
    if (event.target === dialog()) dialog().close();
  });
})();
