document.title = 'Driver, ready';
