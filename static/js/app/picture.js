// Shows the picture that was chosen or dropped in [data-picture], before it is sent. Without JavaScript the file is sent as well.
(() => {
  const SHOWN_BYTES = 20 * 1024 ** 2;

  function reveal(root) {
    for (const hint of root.querySelectorAll("[data-picture] [data-hint]")) hint.hidden = false;
  }

  function show(place, file) {
    const image = place.querySelector("img");
    image.hidden = true;
    image.removeAttribute("src");
    if (!file || !file.type.startsWith("image/") || file.size > SHOWN_BYTES) return;
    const reader = new FileReader(); // As data: the CSP lets no blob: be shown.
    reader.addEventListener("load", () => {
      if (place.querySelector("input[type=file]").files[0] === file) image.src = reader.result;
    });
    reader.readAsDataURL(file);
  }

  // Only what the browser can draw is shown.
  document.addEventListener("load", (event) => {
    if (event.target.matches?.("[data-picture] img")) event.target.hidden = false;
  }, true);
  document.addEventListener("change", (event) => {
    const place = event.target.closest?.("[data-picture]");
    if (place) show(place, event.target.files?.[0]);
  });
  document.addEventListener("reset", (event) => {
    for (const place of event.target.querySelectorAll("[data-picture]")) show(place, null);
  });
  document.addEventListener("DOMContentLoaded", () => reveal(document));
  document.addEventListener("htmx:after:swap", () => reveal(document));
})();
