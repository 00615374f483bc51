// Forms: a file can be dropped on its place, what ticked rows are for opens, and a form that was sent is not sent twice.
(() => {
  document.addEventListener("dragover", (event) => {
    const place = event.target.closest("[data-drop]");
    if (!place) return;
    event.preventDefault();
    place.dataset.over = "";
  });
  document.addEventListener("dragleave", (event) => {
    const place = event.target.closest("[data-drop]");
    if (place && !place.contains(event.relatedTarget)) delete place.dataset.over;
  });
  document.addEventListener("drop", (event) => {
    const place = event.target.closest("[data-drop]");
    const field = place?.querySelector("input[type=file]");
    if (!field || event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    delete place.dataset.over;
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // What can be done with ticked rows opens with the first tick.
  document.addEventListener("change", (event) => {
    const { name, checked } = event.target;
    if (checked) document.querySelector(`details[data-opens-on="${CSS.escape(name)}"]`)?.setAttribute("open", "");
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post") || event.defaultPrevented) return;
    if (form.dataset.sent !== undefined) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    form.querySelector("button[type=submit], button:not([type])")?.setAttribute("aria-busy", "true");
  });
  // What is wrong with a form is where its reader goes on: at the first field that was refused.
  function goToRefusal(page) {
    const field = page.querySelector("main [aria-invalid=true]");
    field?.closest("details")?.setAttribute("open", "");
    field?.focus();
  }
  document.addEventListener("DOMContentLoaded", () => goToRefusal(document));
  // Back in history shows the page as it was left.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
      form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
    }
  });
})();
