// Light or dark: what was chosen here before, else what the system prefers. Loaded before the
// page paints, so that nothing flashes. Without JavaScript the page is light.
(() => {
  const KEY = "lathe-theme";
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let isPrinting = false; // Paper is light: browsers leave dark backgrounds out.

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // Storage may be forbidden; the system's wish still counts.
    }
  }

  function apply() {
    const dark = !isPrinting && (stored() ?? (system.matches ? "dark" : "light")) === "dark";
    document.documentElement.classList.toggle("dark", dark);
    document.dispatchEvent(new CustomEvent("lathe:theme"));
    return dark;
  }

  function toggle() {
    const next = document.documentElement.classList.contains("dark") ? "light" : "dark";
    try {
      localStorage.setItem(KEY, next);
    } catch {
      document.documentElement.classList.toggle("dark", next === "dark");
      return;
    }
    apply();
  }

  document.documentElement.classList.add("js");
  apply();
  system.addEventListener("change", apply);
  for (const event of ["beforeprint", "afterprint"]) {
    window.addEventListener(event, () => {
      isPrinting = event === "beforeprint";
      apply();
    });
  }
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-toggle]")) toggle();
  });
})();
