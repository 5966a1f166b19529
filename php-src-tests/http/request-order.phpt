--TEST--
request_order: what $_REQUEST is made of
--EXTENSIONS--
roadrunner
--FILE--
<?php
require __DIR__ . '/served.inc';

$script = <<<'PHP'
<?php
echo json_encode($_REQUEST), "\n";
PHP;
$request = request('POST', '/?a=get&g=1&x[g]=1', 'a=post&p=2&x[p]=2', 'Content-Type: application/x-www-form-urlencoded', 'Cookie: a=cookie; c=3; x[c]=3');
foreach (['', 'GP', 'PG', 'GPC', 'CGP', 'C'] as $order) {
    echo "request_order=$order\n";
    served(['all' => $request, 'a query only' => get('/?b=2')], ['request_order' => $order], $script);
}
?>
--EXPECT--
request_order=
-- all
[]
-- a query only
[]
request_order=GP
-- all
{"a":"post","g":"1","x":{"g":"1","p":"2"},"p":"2"}
-- a query only
{"b":"2"}
request_order=PG
-- all
{"a":"get","p":"2","x":{"p":"2","g":"1"},"g":"1"}
-- a query only
{"b":"2"}
request_order=GPC
-- all
{"a":"cookie","g":"1","x":{"g":"1","p":"2","c":"3"},"p":"2","c":"3"}
-- a query only
{"b":"2"}
request_order=CGP
-- all
{"a":"post","c":"3","x":{"c":"3","g":"1","p":"2"},"g":"1","p":"2"}
-- a query only
{"b":"2"}
request_order=C
-- all
{"a":"cookie","c":"3","x":{"c":"3"}}
-- a query only
[]
