const drawer = (name) => {
  const page = document.getElementById('page');
  page.dataset.drawer = page.dataset.drawer === name ? '' : name;
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  if (button.dataset.act === 'theme') document.body.classList.toggle('dark');
  else drawer(button.dataset.drawer);
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') drawer('');
});
