// What scrolls sideways or down within a page can be reached with the keyboard.
(() => {
  const SCROLLERS = ".table-container, ol.log, .long, .found, pre, .pick";

  function check(root) {
    for (const element of root.querySelectorAll(SCROLLERS)) {
      if (element.hasAttribute("tabindex")) continue;
      const scrolls = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
      if (scrolls) element.tabIndex = 0;
    }
  }

  const checkAll = () => check(document);
  document.addEventListener("DOMContentLoaded", checkAll);
  document.addEventListener("htmx:after:swap", checkAll);
  document.addEventListener("toggle", checkAll, true);
  window.addEventListener("resize", checkAll);
})();
