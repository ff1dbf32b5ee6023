element.addEventListener('change', () => {
  const checked = {};
  element.querySelectorAll('input').forEach(({ name, value, checked: is }) => {
    checked[name] = [...(checked[name] || []), ...(is ? [value] : [])];
  });
  trigger('input', { checked });
});
