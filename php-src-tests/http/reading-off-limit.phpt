--TEST--
enable_post_data_reading=0 with post_max_size
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

served(
    ['shorter' => post('a=1'), 'longer' => post('a=' . str_repeat('x', 50))],
    ['enable_post_data_reading' => 0, 'post_max_size' => 10],
    '<?php echo strlen(file_get_contents("php://input")), " ", json_encode($_POST), "\n";',
);
?>
--EXPECT--
-- shorter
3 []
-- longer
52 []
