// Printing needs a script; the menu of the browser does it, too.
(() => {
  "use strict";
  const print = document.getElementById("print");
  if (!print) return;
  print.hidden = false;
  print.addEventListener("click", () => window.print());
})();
