// A folder that is dropped among the files: the browser gives it as one thing, and Gradio, which takes
// files alone, would drop it without a word. Its files are found here, and given as if chosen.
const entries = (folder) => new Promise((done, fail) => {
  const reader = folder.createReader(), found = [];
  const read = () => reader.readEntries((some) => { // a hundred at most
    if (!some.length) return done(found);
    found.push(...some);
    read();
  }, fail);
  read();
});
const files = async (entry) => {
  if (entry.name.startsWith('.')) return []; // as the command does
  if (!entry.isFile) return (await Promise.all((await entries(entry)).map(files))).flat();
  const file = await new Promise((done, fail) => { entry.file(done, fail); });
  return [new File([file], entry.fullPath.slice(1), { type: file.type })]; // with its folders
};
element.closest('[role=tabpanel]').addEventListener('drop', async (event) => {
  const dropped = [...event.dataTransfer.items].map((one) => one.webkitGetAsEntry()).filter(Boolean);
  const input = event.target.closest('#files')?.querySelector('input[type=file]');
  if (!input || !dropped.some((one) => one.isDirectory)) return;
  event.preventDefault();
  event.stopPropagation();
  event.target.dispatchEvent(new DragEvent('dragleave', { bubbles: true }));
  const given = new DataTransfer();
  (await Promise.all(dropped.map(files))).flat().forEach((file) => given.items.add(file));
  input.files = given.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}, true);
