element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  const body = document.body;
  if (button.dataset.act === 'theme') {
    body.classList.toggle('dark');
    return;
  }
  const drawer = button.dataset.drawer;
  body.dataset.drawer = body.dataset.drawer === drawer ? '' : drawer;
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.body.dataset.drawer = '';
});
