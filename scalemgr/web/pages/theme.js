// Before anything is drawn: the scheme that was chosen on this machine, if one was.
"use strict";
try {
  const chosen = localStorage.getItem("scalemgr-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage, no choice: the system's it is.
}
