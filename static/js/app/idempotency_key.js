// A form that htmx has answered stays on the page: sent again, it is another request.
(() => {
  "use strict";
  document.addEventListener("htmx:after:swap", (event) => {
    const source = event.detail?.ctx?.sourceElement;
    const field = source?.closest("form")?.querySelector("input[name=idempotency_key]");
    if (field) {
      const numbers = crypto.getRandomValues(new Uint8Array(16));
      field.value = Array.from(numbers, (n) => n.toString(16).padStart(2, "0")).join("");
    }
  });
})();
