const settings = __SETTINGS__;

/** Every path is a page of this one: the server gives the same file for all of them. */
function show() {
  const main = document.querySelector('main');
  main.textContent = `${location.pathname} asks ${settings.VITE_API_URL}`;
}

addEventListener('popstate', show);
addEventListener('click', (event) => {
  const link = event.target.closest('a');
  if (link?.origin !== location.origin) return;
  event.preventDefault();
  history.pushState(null, '', link.href);
  show();
});
show();
