// On a narrow page the report lies below the runs.
watch('value', () => element.querySelector('iframe')?.scrollIntoView({ block: 'nearest' }));
