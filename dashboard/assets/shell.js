// Runs before Streamlit. Its server is at the root: else it asks below every page's own path first, and is told 404.
window.__streamlit = { BACKEND_BASE_URL: `${location.origin}/` };
// Gives it the reader's choice of light or dark, which it keeps by path, for every path alike.
(() => {
  try {
    const chosen = localStorage.getItem("keepwarm_theme");
    const key = `stActiveTheme-${location.pathname}-v2`;
    if (chosen === "Light" || chosen === "Dark") {
      localStorage.setItem(key, JSON.stringify(chosen));
    } else {
      localStorage.removeItem(key);
    }
  } catch {
    // no storage allowed: the system's setting holds
  }
})();
