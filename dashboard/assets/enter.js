// A person opened the link: use it at once. Without scripts the button does the same.
document.getElementById("enter").submit();
