--TEST--
variables_order: which superglobals there are
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
echo json_encode([$_GET, $_POST, $_COOKIE, count($_SERVER) > 10, $_REQUEST]), "\n";
PHP;
$request = request('POST', '/?a=get&g=1', 'a=post&p=2', 'Content-Type: application/x-www-form-urlencoded', 'Cookie: a=cookie; c=3');
foreach (['', 'G', 'P', 'C', 'S', 'GPC', 'CPGS', 'EGPCS'] as $order) {
    echo "variables_order=$order\n";
    served(['all' => $request], ['variables_order' => $order], $script);
}
?>
--EXPECT--
variables_order=
-- all
[{"a":"get","g":"1"},{"a":"post","p":"2"},{"a":"cookie","c":"3"},true,{"a":"cookie","g":"1","p":"2","c":"3"}]
variables_order=G
-- all
[{"a":"get","g":"1"},[],[],false,{"a":"get","g":"1"}]
variables_order=P
-- all
[[],{"a":"post","p":"2"},[],false,{"a":"post","p":"2"}]
variables_order=C
-- all
[[],[],{"a":"cookie","c":"3"},false,{"a":"cookie","c":"3"}]
variables_order=S
-- all
[[],[],[],true,[]]
variables_order=GPC
-- all
[{"a":"get","g":"1"},{"a":"post","p":"2"},{"a":"cookie","c":"3"},false,{"a":"cookie","g":"1","p":"2","c":"3"}]
variables_order=CPGS
-- all
[{"a":"get","g":"1"},{"a":"post","p":"2"},{"a":"cookie","c":"3"},true,{"a":"get","c":"3","p":"2","g":"1"}]
variables_order=EGPCS
-- all
[{"a":"get","g":"1"},{"a":"post","p":"2"},{"a":"cookie","c":"3"},true,{"a":"cookie","g":"1","p":"2","c":"3"}]
