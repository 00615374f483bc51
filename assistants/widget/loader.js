(function () {
  "use strict";
  var script = document.currentScript;
  if (!script || window.latheChat) return;
  var address = script.src.replace(/\.js(\?.*)?$/, "/");
  var origin = new URL(address).origin;
  var chinese = /^zh/i.test(navigator.language || "");
  var about = {}; // <script data-visitor-plan="gold">: what rules may ask for.
  for (var i = 0; i < script.attributes.length; i += 1) {
    var attribute = script.attributes[i];
    if (!attribute.name.indexOf("data-visitor-")) about[attribute.name.slice(13)] = attribute.value;
  }
  function style(element, rules) {
    for (var name in rules) element.style.setProperty(name, rules[name]);
  }
  var button = document.createElement("button");
  button.type = "button";
  button.textContent = chinese ? "在线咨询" : "Chat";
  button.setAttribute("aria-expanded", "false");
  style(button, {
    position: "fixed", right: "20px", bottom: "20px", "z-index": "2147483000", border: "0",
    "border-radius": "24px", padding: "12px 20px", font: "600 15px system-ui,sans-serif",
    background: "#18181b", color: "#fff", cursor: "pointer", "box-shadow": "0 4px 16px #0004"
  });
  var frame = null;
  function toggle(open) {
    if (open && !frame) {
      frame = document.createElement("iframe");
      frame.src = address + "#" + encodeURIComponent(JSON.stringify(about));
      frame.title = button.textContent;
      frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-popups");
      if (LATHE_ALLOW) frame.allow = LATHE_ALLOW;
      style(frame, {
        position: "fixed", right: "20px", bottom: "80px", width: "min(380px, calc(100vw - 40px))",
        height: "min(560px, calc(100vh - 110px))", border: "0", "border-radius": "14px",
        "z-index": "2147483000", "box-shadow": "0 8px 40px #0005", background: "#fff"
      });
      document.body.appendChild(frame);
    }
    if (frame) style(frame, { display: open ? "block" : "none" });
    button.setAttribute("aria-expanded", String(open));
    if (!open) button.focus();
  }
  button.addEventListener("click", function () {
    toggle(button.getAttribute("aria-expanded") !== "true");
  });
  window.addEventListener("message", function (event) {
    if (event.origin !== origin || !frame || event.source !== frame.contentWindow) return;
    if (event.data && event.data.lathe === 1 && event.data.type === "close") toggle(false);
  });
  window.latheChat = { open: function () { toggle(true); }, close: function () { toggle(false); } };
  function start() { document.body.appendChild(button); }
  if (document.body) start(); else document.addEventListener("DOMContentLoaded", start);
})();
