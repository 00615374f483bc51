// The API's reference in the theme of the other pages: Swagger's styles have a class of their own.
(() => {
  function follow() {
    const { classList } = document.documentElement;
    classList.toggle("dark-mode", classList.contains("dark"));
  }

  document.addEventListener("lathe:theme", follow);
  follow();
})();
