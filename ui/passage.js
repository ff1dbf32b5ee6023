const show = (tries) => {
  const marked = element.querySelector('#marked');
  if (!marked) return;
  const panel = marked.closest('.page');
  if (!panel.clientHeight && tries) { // its tab is still on its way
    setTimeout(() => show(tries - 1), 40);
    return;
  }
  panel.scrollTop = Math.max(0, marked.offsetTop - panel.offsetTop - panel.clientHeight / 5);
  marked.focus({ preventScroll: true });
};
watch('value', () => show(25));
