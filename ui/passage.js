const show = (tries) => {
  const marked = element.querySelector('#marked');
  if (!marked) return;
  const panel = marked.closest('.page');
  if (!panel.clientHeight && tries) { // its tab is still on its way
    setTimeout(() => show(tries - 1), 40);
    return;
  }
  const above = marked.getBoundingClientRect().top - panel.getBoundingClientRect().top;
  panel.scrollTop = Math.max(0, panel.scrollTop + above - panel.clientHeight / 5);
  marked.focus({ preventScroll: true });
};
element.addEventListener('keydown', (event) => { // from citation to citation
  const step = { ArrowLeft: 'previous', ArrowRight: 'next' }[event.key];
  if (step) element.querySelector(`[data-step=${step}]:not([disabled])`)?.click();
});
watch('value', () => show(25));
