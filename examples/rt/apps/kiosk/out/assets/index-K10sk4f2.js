document.title = 'Kiosk, ready';
