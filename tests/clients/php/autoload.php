<?php
// Loads the generated code, and Guzzle as Debian packages it. Your project would get both by Composer, which reads
// generated/composer.json, and require vendor/autoload.php.

declare(strict_types=1);

require '/usr/share/php/GuzzleHttp/autoload.php';

spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, 'PartnerKeys\\')) {
        require __DIR__ . '/generated/lib/' . strtr(substr($class, strlen('PartnerKeys\\')), '\\', '/') . '.php';
    }
});
