const remembered = 'no-model-banner';
element.hidden = localStorage.getItem(remembered) === 'dismissed';
element.addEventListener('click', (event) => {
  if (!event.target.closest('[data-act=dismiss]')) return;
  localStorage.setItem(remembered, 'dismissed');
  element.hidden = true;
});
