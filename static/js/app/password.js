// Password fields: a button that shows what is typed, and the one rule that is not met yet.
(() => {
  function reveal(field) {
    if (field.latheReveal) return;
    field.latheReveal = true;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "link reveal", textContent: latheText("Show") });
    button.setAttribute("aria-label", latheText("Show the password"));
    button.addEventListener("click", () => {
      const hidden = field.type === "password";
      field.type = hidden ? "text" : "password";
      button.textContent = hidden ? latheText("Hide") : latheText("Show");
      button.setAttribute("aria-label", hidden ? latheText("Hide the password") : latheText("Show the password"));
    });
    field.after(button);
  }

  function nextRule(value, email) {
    if (value.length < 8) {
      const missing = 8 - value.length;
      return missing === 1 ? latheText("1 more character.") : latheText("{missing} more characters.", { missing });
    }
    if (/^\d+$/.test(value)) return latheText("Not only digits.");
    const name = email.split("@")[0].toLowerCase();
    if (name.length > 2 && value.toLowerCase().includes(name)) return latheText("Not your e-mail address.");
    return "";
  }

  function advise(field) {
    const advice = document.createElement("p");
    advice.className = "help";
    advice.setAttribute("role", "status");
    field.closest(".field")?.append(advice);
    field.addEventListener("input", () => {
      const email = field.form?.querySelector("input[type=email]")?.value ?? "";
      advice.textContent = field.value ? nextRule(field.value, email) || latheText("Good.") : "";
    });
  }

  function start() {
    for (const field of document.querySelectorAll("input[type=password]")) {
      if (field.autocomplete === "new-password" && !field.latheReveal && field.name !== "password2") advise(field);
      reveal(field);
    }
  }

  document.addEventListener("DOMContentLoaded", start);
})();
