// Texts in the page's language: the page carries what is not English as data.
(() => {
  const element = document.getElementById("script-texts");
  const texts = element ? JSON.parse(element.textContent) : {};
  window.latheLocale = document.documentElement.lang.startsWith("zh") ? "zh-CN" : "en-GB";
  window.latheText = (english, values = {}) =>
    (texts[english] || english).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
})();
