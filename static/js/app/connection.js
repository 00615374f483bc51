// Says when live parts cannot be refreshed, and since when, instead of a browser's own words.
(() => {
  let lastUpdate = Date.now();
  let timer = null;

  function note() {
    let element = document.getElementById("connection");
    if (!element) {
      element = Object.assign(document.createElement("p"), { id: "connection", className: "connection", hidden: true });
      element.setAttribute("role", "status");
      document.body.append(element);
    }
    return element;
  }

  function say() {
    note().hidden = false;
    note().textContent = latheText("Reconnecting, last update {seconds} s ago", {
      seconds: Math.round((Date.now() - lastUpdate) / 1000),
    });
  }

  function lost() {
    if (timer) return;
    say();
    timer = setInterval(say, 1000);
  }

  function back() {
    lastUpdate = Date.now();
    if (!timer) return;
    clearInterval(timer);
    timer = null;
    note().hidden = true;
  }

  // An error page in the place of a part would be drawn inside it: the part stays as it was.
  function refuse(event) {
    const { response, text, request } = event.detail.ctx;
    if (!(response?.status >= 400) || !/^\s*<!doctype/i.test(text)) return;
    event.preventDefault();
    if (response.status >= 500 && request.method === "GET") {
      lost();
      return;
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    const sentence = page.querySelector("h1 + p")?.textContent.trim() || latheText("That did not work");
    const place = document.getElementById("problem");
    if (!place || place.textContent === sentence) return; // Already said, and read aloud.
    const alert = Object.assign(document.createElement("div"), { className: "alert" });
    alert.dataset.variant = "destructive";
    alert.append(Object.assign(document.createElement("strong"), { textContent: sentence }));
    place.replaceChildren(alert);
  }

  document.addEventListener("htmx:before:swap", refuse);
  window.addEventListener("offline", lost);
  window.addEventListener("online", back);
  document.addEventListener("htmx:error", (event) => {
    if (event.detail?.error instanceof TypeError || !navigator.onLine) lost();
  });
  document.addEventListener("htmx:after:swap", back);
  document.addEventListener("lathe:refreshed", back);
  document.addEventListener("lathe:unreachable", lost);
})();
