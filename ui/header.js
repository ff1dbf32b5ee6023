const drawer = (name) => {
  const page = document.getElementById('page');
  page.dataset.drawer = page.dataset.drawer === name ? '' : name;
};
const views = ['chat', 'compare', 'evaluation'];
const view = (name) => {
  element.querySelectorAll('[data-view]').forEach((button) => {
    if (button.dataset.view === name) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
  });
  if (name !== 'chat') trigger('select', { view: name });
};
const fromAddress = () => {
  const name = location.hash.slice(1);
  view(views.includes(name) ? name : 'chat');
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  if (button.dataset.act === 'theme') {
    const dark = document.body.classList.toggle('dark');
    localStorage.setItem('theme', dark ? 'dark' : 'light');
  }
  else if (button.dataset.act === 'view') location.hash = button.dataset.view;
  else drawer(button.dataset.drawer);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') drawer('');
});
window.addEventListener('hashchange', fromAddress);
watch('value', fromAddress);
fromAddress();
const theme = localStorage.getItem('theme');
if (theme) document.body.classList.toggle('dark', theme === 'dark');
