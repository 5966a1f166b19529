<?php // What the session knows of an upload.
session_start();
$progress = $_SESSION['upload_progress_up'] ?? null;
if ($progress !== null) {
    unset($progress['start_time']);
    foreach ($progress['files'] as &$file) {
        unset($file['start_time'], $file['tmp_name']);
    }
}
echo json_encode($progress);
