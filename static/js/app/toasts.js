// Messages: closed by their button, and by themselves after a while when they are only good news.
(() => {
  const SHOWN_MS = 8000;

  function leave(toast) {
    toast.remove();
  }

  function start(root) {
    for (const toast of root.querySelectorAll(".toast")) {
      if (toast.latheStarted) continue;
      toast.latheStarted = true;
      toast.querySelector("[data-close]").hidden = false;
      if (toast.dataset.level !== "success") continue;
      const tick = () => (toast.matches(":hover, :focus-within") ? setTimeout(tick, 1000) : leave(toast));
      setTimeout(tick, SHOWN_MS);
    }
  }

  document.addEventListener("DOMContentLoaded", () => start(document));
  document.addEventListener("htmx:after:swap", () => start(document));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-close]");
    if (button) leave(button.closest(".toast, .callout"));
  });
})();
