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

  // On a phone the tabs are wider than the page: the one that is open must be seen.
  function showCurrentTab() {
    document.querySelector(".tabbar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  const checkAll = () => check(document);
  document.addEventListener("DOMContentLoaded", showCurrentTab);
  document.addEventListener("DOMContentLoaded", checkAll);
  document.addEventListener("htmx:after:swap", checkAll);
  document.addEventListener("toggle", checkAll, true);
  window.addEventListener("resize", checkAll);
})();
