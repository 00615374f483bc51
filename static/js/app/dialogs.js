// Dialogs that ask back are popovers, so that they open without a script too. A popover does not
// hold the keyboard: Tab goes round within an open one, as in a modal dialog.
(() => {
  const FIELDS = "a[href], button, input:not([type=hidden]), select, textarea";

  document.addEventListener("keydown", (event) => {
    const dialog = event.key === "Tab" && document.querySelector("dialog:popover-open");
    if (!dialog) return;
    const fields = [...dialog.querySelectorAll(FIELDS)].filter((field) => !field.disabled && field.checkVisibility());
    const [edge, next] = event.shiftKey ? [fields[0], fields.at(-1)] : [fields.at(-1), fields[0]];
    if (document.activeElement !== edge && dialog.contains(document.activeElement)) return;
    event.preventDefault();
    next?.focus();
  });
})();
