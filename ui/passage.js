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
  const aside = marked.getBoundingClientRect().left - panel.getBoundingClientRect().left;
  panel.scrollLeft = Math.max(0, panel.scrollLeft + aside - 16);
  marked.focus({ preventScroll: true });
};
element.addEventListener('keydown', (event) => { // from citation to citation
  const step = { ArrowLeft: 'previous', ArrowRight: 'next' }[event.key];
  if (step) element.querySelector(`[data-step=${step}]:not([disabled])`)?.click();
});
element.addEventListener('click', (event) => {
  if (!event.target.matches('[data-zoom]')) return;
  const large = element.querySelector('.sheet').classList.toggle('large');
  event.target.textContent = large ? 'Fit' : 'Enlarge';
  show(0);
});
watch('value', () => show(25));
